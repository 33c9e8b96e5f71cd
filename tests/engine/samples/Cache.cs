using System;
using System.Collections.Generic;
using System.Linq;
using Text = System.String;

namespace Depot.Caching
{
    public interface ICache<TKey, TValue> where TKey : notnull
    {
        TValue? Get(TKey key);
        int Count { get; }
    }

    [Serializable]
    public sealed class Cache<TKey, TValue> : ICache<TKey, TValue> where TKey : notnull
    {
        private readonly Dictionary<TKey, TValue> _items = new Dictionary<TKey, TValue>();
        private static readonly object Lock = new();

        public event EventHandler<string>? Changed;

        public Cache(int limit = 100, params TKey[] keys)
        {
            if (limit < 1) throw new ArgumentOutOfRangeException(nameof(limit), $"{limit} is too small");
            this.Limit = limit;
            foreach (var key in keys)
            {
                _items.Add(key, default(TValue)!);
            }
        }

        public int Limit { get; private set; }

        public int Count => _items.Count();

        public TValue? Get(TKey key)
        {
            TValue value;
            if (_items.TryGetValue(key, out value) == true)
            {
                return value;
            }
            else
            {
                Changed?.Invoke(this, string.Format("missing {0}", key));
                return default;
            }
        }

        public async System.Threading.Tasks.Task<List<string>> NamesAsync(Func<TKey, bool> wanted)
        {
            lock (Lock)
            {
                _items.Keys.ToList().ForEach(key => Console.WriteLine(key));
            }
            await System.Threading.Tasks.Task.Delay(10);
            var names = from key in _items.Keys where wanted(key) orderby key select key.ToString();
            return names.Where(name => name != null && name.Length > 0).ToList();
        }

        private static string Level(int count, object other) => count switch
        {
            0 => "none",
            > 0 and < 5 => "low",
            _ when other is string text => text,
            _ => @"c:\high",
        };
    }
}
