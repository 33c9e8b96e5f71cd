@app.route('/a')
def a():
    pass
