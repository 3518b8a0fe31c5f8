"""Small programs that try one thing each and print what they saw as one JSON object."""
