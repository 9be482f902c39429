"""One thin module per DVC stage: read its section of ``params.yaml``, call one room of ``pipeline``, write its outs."""
