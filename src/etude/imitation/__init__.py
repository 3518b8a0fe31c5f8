"""The behaviour-cloning trainer: LeRobot's policies, our loop."""
