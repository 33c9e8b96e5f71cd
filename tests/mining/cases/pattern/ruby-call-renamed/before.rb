def load(path)
  File.exists?(path) ? File.read(path) : ''
end
