# The worker.  The same base as the tests run on; nothing of the build stays but the virtual environment.
# The embedded servers are left out: a worker has a model server and a Redis (docs/production.md).
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir .

FROM python:3.11.14-slim-bookworm
RUN useradd --create-home --uid 10001 surefoot
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER surefoot
WORKDIR /home/surefoot
ENTRYPOINT ["surefoot"]
CMD ["--help"]
