"""What a network is compared with, as a reader knows it, by its short name."""

PEERS = {"fer": "fer", "human": "Human", "face_api": "face-api.js"}
