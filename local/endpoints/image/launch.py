"""Starts Microsoft's scoring server as its own command does, but on 127.0.0.1 and not on every interface."""

from azureml_inference_server_http import amlserver

if __name__ == "__main__":
    amlserver.DEFAULT_HOST = "127.0.0.1"
    amlserver.run()
