class A:
    def f(self):
        return fetch(1)


class B:
    def f(self):
        return get(1)
