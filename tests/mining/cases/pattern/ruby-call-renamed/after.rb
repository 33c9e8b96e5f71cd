def load(path)
  File.exist?(path) ? File.read(path) : ''
end
