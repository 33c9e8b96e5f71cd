def close(file)
  return if file.nil?

  file.close
end
