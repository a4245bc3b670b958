#!/bin/sh
# The namespace `default`. The workers add their search attributes to it when they start.
set -eu

temporal operator cluster health
if temporal operator namespace describe --namespace default >/dev/null 2>&1; then
    temporal operator namespace update --namespace default --retention "$RETENTION"
else
    temporal operator namespace create --namespace default --retention "$RETENTION"
fi
