import six.moves

from six.moves import filter
