const a = <Box color="red" />
