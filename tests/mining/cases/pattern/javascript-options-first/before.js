request(url, { method: verb });
