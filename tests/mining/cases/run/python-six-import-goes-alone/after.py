import six.moves

