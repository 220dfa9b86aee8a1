"""What a user asks for, one module a verb: train, gradient, plan, circuit, evaluate, resume, plot."""
