const a = <Panel title={t} />
