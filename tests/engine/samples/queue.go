package queue

import (
	"errors"
	"fmt"
)

// ErrEmpty is returned by Pop on an empty queue.
var ErrEmpty = errors.New("empty")

type Queue struct {
	items []string
	limit int
}

func New(limit int) *Queue {
	return &Queue{items: make([]string, 0), limit: limit}
}

func (q *Queue) Push(item string) error {
	if len(q.items) >= q.limit {
		return fmt.Errorf("queue is full: %d", q.limit)
	}
	q.items = append(q.items, item)
	return nil
}

func (q *Queue) Pop() (string, error) {
	if len(q.items) == 0 {
		return "", ErrEmpty
	}
	first := q.items[0]
	q.items = q.items[1:]
	for i, item := range q.items {
		fmt.Println(i, item)
	}
	switch first {
	case "stop":
		return first, nil
	default:
		return first + "!", nil
	}
}
