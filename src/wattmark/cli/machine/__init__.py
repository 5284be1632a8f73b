"""Commands about this machine: what can be measured, its calibration, its settings, the agent that measures always."""
