const a = <Box tone="red" />
