@app.route('/a', strict=True)
def a():
    pass
