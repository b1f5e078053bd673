"""The exercises, topic by topic: questions, inputs to try an answer on, and typical mistakes.

A wrong answer is written as a change of the right one where that is possible, so that it differs in its
mistake alone.
"""
