request({ method: verb }, url);
