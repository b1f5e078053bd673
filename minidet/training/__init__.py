"""Training: which samples count, what is minimised, and how the weights move.

Reading order: ``objectives/`` (the number to minimise and its gradients), ``mining.py`` (which samples it
hears), ``optim/`` (the step that follows). One step of training is six lines::

    outputs = network.forward(x)
    objective = retinaface_objective(*outputs, targets)
    optimizer.lr = schedule(optimizer.steps)
    optimizer.zero_grad()
    network.backward(*objective.gradients)
    optimizer.step()
"""
