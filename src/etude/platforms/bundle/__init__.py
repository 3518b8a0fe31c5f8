"""What is sent: a folder with the command, our wheel, the pinned requirements and a script that starts it all."""
