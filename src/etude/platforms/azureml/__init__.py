"""Azure Machine Learning: command jobs on managed and on attached Kubernetes compute."""
