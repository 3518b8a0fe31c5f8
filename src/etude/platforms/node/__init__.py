"""What runs inside a job, on whatever platform: inputs, secrets, the command, its outputs, its end."""
