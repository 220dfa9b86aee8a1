"""What a user asks for, one module a verb; `setup`, `initial`, `trained`, `shots` and `report` serve several."""
