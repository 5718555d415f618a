"""How the schema came about, step by step; run by `certbound.store.upgrading`, one transaction for all steps.

A step must leave the program of the release before it working: add first, remove a release later.
"""
