"""What a step and a run would cost: circuits and shots of a device, or time and memory of this machine."""
