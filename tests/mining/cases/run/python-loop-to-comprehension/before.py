out = []
for x in xs:
    out.append(go(x))
