"""From a data set's name to batches of features. Nothing is downloaded; nothing need fit into memory but the labels.

The way of the data, and the modules it goes through:

    build_source(name, options) -> Source          what the data is, read by row          sources, protocol
    select(source, classes, samples, seed)         fewer classes, fewer rows              selection
    split(labels, task, ...) -> Split              which rows train, validate and test    splits, folds
    Preprocessor.fit(source, train_rows, ...)      from samples to features               preprocessing
    BatchOrder, PreparedData                       which rows when, and their features    batches, shuffling
"""
