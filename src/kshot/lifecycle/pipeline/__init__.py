"""The stages of dvc.yaml: their order, inputs, durations, schedule and worktree."""
