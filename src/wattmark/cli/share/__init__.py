"""Commands that put joules where others look: stages of pipelines, model cards, skills of coding assistants."""
