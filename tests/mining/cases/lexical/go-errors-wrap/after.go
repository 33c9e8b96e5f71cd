package p

func f() error {
	return fmt.Errorf("read: %w", err)
}
