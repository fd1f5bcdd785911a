"""Faces drawn by rule: actions -> landmarks -> view -> pixels."""
