"""Training: which samples count, what is minimised, and how the weights move.

Reading order: ``trainer.py`` (the loop), ``batch.py`` (what it is fed: ``sampling/`` for MTCNN, ``augment/``
and ``retinaface_batches.py`` for RetinaFace), ``objectives/`` (the number to minimise and its gradients),
``mining.py`` (which samples it hears), ``optim/`` (the step that follows), ``validation.py``,
``checkpoint.py``. ``recipes/`` hold every figure; ``train_retinaface.py`` and ``train_mtcnn.py`` join the
parts. One step of training is six lines::

    outputs = network.forward(x)
    objective = retinaface_objective(*outputs, targets)
    optimizer.lr = schedule(optimizer.steps)
    optimizer.zero_grad()
    network.backward(*objective.gradients)
    optimizer.step()
"""
