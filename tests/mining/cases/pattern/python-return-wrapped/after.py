def f(x):
    return HttpResponse(render(x))
