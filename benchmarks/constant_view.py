"""A Flask view that returns a constant: the floor under everything served by Flask."""

from flask import Flask, Response

app = Flask(__name__)
items = ",".join(f'{{"item":{1_000_000 + n},"score":0.12345678}}' for n in range(30))
body = f'{{"recommended":[{items}]}}'.encode()


@app.get("/recommend")
def recommend():
    return Response(body, mimetype="application/json")
