const a = <Card title={t} />
