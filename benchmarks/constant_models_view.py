"""A Flask view that answers a constant list of ten recommendations: the floor under Flask."""

from flask import Flask, Response

app = Flask(__name__)
items = ",".join(f'{{"recommendedItemId":"item-{n}","score":0.12345678}}' for n in range(10))
body = f"[{items}]".encode()


@app.get("/api/models/default/recommend")
def recommend():
    return Response(body, mimetype="application/json")
