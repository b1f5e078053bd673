"""Exercises with a checker: is my own NMS right, and if not, on which input is it not?

>>> from minidet import course
>>> course.check("output_size", lambda size, kernel_size, stride, padding: (size - kernel_size) // stride + 1)
output_size: not right yet; 3 of 6 inputs come out right.
Your size forgets the padding: both sides of it make the input larger.
<BLANKLINE>
Input 4 of 6
  size = 5
  kernel_size = 3
  stride = 1
  padding = 1
Returned: 3
Expected: 5
The number is 3; expected 5.

Where to read on: ``exercise`` (what an exercise is), ``catalogue`` (all of them), ``check`` (how an answer
is judged), ``outcome`` (one run of it), ``compare`` (when two results are the same), ``result`` and ``show``
(what the student is told). ``topics`` holds the questions with their inputs and typical mistakes, ``answers``
one right answer to each. Look there last.
"""

from minidet.course.catalogue import ExerciseList, exercises
from minidet.course.check import check
from minidet.course.exercise import Exercise, Mistake
from minidet.course.result import Result

__all__ = ["Exercise", "ExerciseList", "Mistake", "Result", "check", "exercises"]
