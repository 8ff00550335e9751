"""The Azure ML registry that workspaces share: models and environments, copied by an import and never changed again."""
