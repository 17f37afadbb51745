"""Packages for Django that use storages, each at its ordinary work; the tests run them in processes of their own.

A module here is about one package. What it needs in the settings is taken from the documentation, docs/known-users.md.
"""
