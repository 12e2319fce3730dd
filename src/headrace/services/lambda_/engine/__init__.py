"""The machine that runs functions: sandboxes, the Runtime API, pools of execution environments."""
