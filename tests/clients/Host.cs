// The app around the guide's C# class: `Host SERVER SERIAL FOLDER`. The folder has `sales`, a sale
// per line, to which others add; `journal` is the outbox, a line per transaction. What a person is
// told goes to the output.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

public sealed class JournalOutbox : IOutbox
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);
    private readonly string _folder;
    private readonly FileStream _journal;
    private readonly HashSet<string> _gone = new HashSet<string>();
    private readonly Dictionary<string, DateTime> _paused = new Dictionary<string, DateTime>();
    private Lot _open;

    public JournalOutbox(string folder)
    {
        _folder = folder;
        var path = Path.Combine(folder, "journal");
        var text = File.Exists(path) ? File.ReadAllText(path) : "";
        // What a crash has cut short has not happened.
        text = text.Substring(0, text.LastIndexOf('\n') + 1);
        _journal = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read);
        _journal.SetLength(Encoding.UTF8.GetByteCount(text));
        _journal.Seek(0, SeekOrigin.End);
        foreach (var line in text.Split(new[] { '\n' }, StringSplitOptions.RemoveEmptyEntries)) Apply(line.Split('\t'));
    }

    public Task<Lot> OpenLotAsync() { return Task.FromResult(_open); }

    public Task<IReadOnlyList<Vente>> WaitingAsync(int max)
    {
        var now = DateTime.UtcNow;
        var sales = Lines("sales").Select(line => JsonSerializer.Deserialize<Vente>(line))
            .Where(sale => !_gone.Contains(sale.NumeroFacture)).ToList();
        var fresh = sales.Where(sale => !_paused.ContainsKey(sale.NumeroFacture));
        var again = sales.Where(sale => _paused.ContainsKey(sale.NumeroFacture) && _paused[sale.NumeroFacture] <= now);
        return Task.FromResult<IReadOnlyList<Vente>>(fresh.Concat(again).Take(max).ToList());
    }

    public Task BeginLotAsync(Lot lot)
    {
        return Commit("begin", lot.Key, string.Join(",", lot.Numbers), lot.Body);
    }

    public Task EndLotAsync(IReadOnlyCollection<string> done, IReadOnlyCollection<VenteErreur> later,
        IReadOnlyCollection<VenteErreur> aside)
    {
        return Commit("end", string.Join(",", done), Names(later), Names(aside));
    }

    private static string Names(IReadOnlyCollection<VenteErreur> errors)
    {
        return string.Join(",", errors.Select(error => error.NumeroFacture + ":" + error.Code));
    }

    private Task Commit(params string[] fields)
    {
        var line = Encoding.UTF8.GetBytes(string.Join("\t", fields) + "\n");
        _journal.Write(line, 0, line.Length);
        _journal.Flush(true);
        Apply(fields);
        return Task.FromResult(0);
    }

    private void Apply(string[] fields)
    {
        if (fields[0] == "begin")
        {
            _open = new Lot(fields[1], fields[3], fields[2].Split(','));
            return;
        }
        _open = null;
        var empty = StringSplitOptions.RemoveEmptyEntries;
        var aside = fields[3].Split(new[] { ',' }, empty).Select(error => error.Split(':')[0]);
        _gone.UnionWith(fields[1].Split(new[] { ',' }, empty).Concat(aside));
        foreach (var error in fields[2].Split(new[] { ',' }, empty)) _paused[error.Split(':')[0]] = DateTime.UtcNow + Pause;
    }

    /// <summary>The whole lines: somebody may be at the last one.</summary>
    private IEnumerable<string> Lines(string name)
    {
        var text = File.ReadAllText(Path.Combine(_folder, name));
        return text.Split('\n').Reverse().Skip(1).Reverse();
    }
}

public static class Host
{
    public static void Main(string[] args)
    {
        Action<string> tell = text => Console.WriteLine("told: " + text);
        var client = new VenteSyncClient(new Uri(args[0]), args[1], null, new JournalOutbox(args[2]), tell);
        client.RunAsync(TimeSpan.FromMilliseconds(100), CancellationToken.None).GetAwaiter().GetResult();
    }
}
