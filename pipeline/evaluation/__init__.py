"""The stage ``evaluate``: metrics, baselines and probes on the test split; and studies over experiments."""
