# The environment of a retraining in a pod: the packages of requirements.lock, git, and nothing of the project but what
# installs it. The code of a run comes from git, its data from DVC's remote.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/kshot
COPY Makefile pyproject.toml requirements.lock README.md LICENSE ./
COPY src src
RUN make install

ENV PATH=/opt/kshot/.venv/bin:$PATH
# Git refuses a tree that another user owns, which a mounted volume may be.
RUN git config --system --add safe.directory '*'
WORKDIR /work
