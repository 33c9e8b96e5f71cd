#include <stdio.h>
#include <stdlib.h>

#define MAX_ITEMS 16

struct node {
    int value;
    struct node *next;
};

static struct node *push(struct node *head, int value) {
    struct node *fresh = malloc(sizeof(struct node));
    if (fresh == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    fresh->value = value;
    fresh->next = head;
    return fresh;
}

int total(const struct node *head) {
    int sum = 0;
    while (head != NULL) {
        sum += head->value;
        head = head->next;
    }
    return sum;
}

int main(void) {
    struct node *list = NULL;
    for (int i = 0; i < MAX_ITEMS; i++) {
        list = push(list, i * 2);
    }
    printf("%d\n", total(list));
    return total(list) > 100 ? 0 : 1;
}
