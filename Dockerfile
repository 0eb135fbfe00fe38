# The service. Extras are chosen when the image is built: --build-arg EXTRAS=slirec,s3
FROM python:3.13-slim-bookworm AS build

# pylibmc has no wheel for this Python: the compiler stays in this stage.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libmemcached-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml README.md ./
COPY seldon seldon
ARG EXTRAS=""
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends libmemcached11 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin seldon

COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY recommender.py recommender_config.py gunicorn.conf.py ./
COPY algs algs

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba

USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/healthz', timeout=2)"]
CMD ["gunicorn", "-b", "0.0.0.0:5000", "recommender:app"]
