def f(x):
    return render(x)
