// Parses texts with the Go libraries that Felix uses: reads one JSON request a line, writes one JSON
// result a line. The tests compare our parsers with it.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/go-ini/ini"
)

type question struct {
	Kind  string   `json:"kind"`
	Text  string   `json:"text"`
	Names []string `json:"names"`
}

type answer struct {
	Error   string            `json:"error,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	Matches []bool            `json:"matches,omitempty"`
	Value   string            `json:"value,omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for in.Scan() {
		var request question
		if err := json.Unmarshal(in.Bytes(), &request); err != nil {
			panic(err)
		}
		reply, err := answerTo(request)
		if err != nil {
			reply = answer{Error: err.Error()}
		}
		if err := encoder.Encode(reply); err != nil {
			panic(err)
		}
	}
}

func answerTo(request question) (answer, error) {
	switch request.Kind {
	case "ini":
		// Felix passes no options.
		file, err := ini.Load([]byte(request.Text))
		if err != nil {
			return answer{}, err
		}
		values := map[string]string{}
		for _, section := range file.Sections() {
			for _, key := range section.Keys() {
				values[key.Name()] = key.Value()
			}
		}
		return answer{Values: values}, nil
	case "regexp":
		pattern, err := regexp.Compile(request.Text)
		if err != nil {
			return answer{}, err
		}
		matches := make([]bool, len(request.Names))
		for i, name := range request.Names {
			matches[i] = pattern.MatchString(name)
		}
		return answer{Matches: matches}, nil
	case "int":
		value, err := strconv.ParseInt(request.Text, 0, 64)
		return answer{Value: strconv.FormatInt(value, 10)}, err
	case "uint":
		value, err := strconv.ParseUint(request.Text, 0, 32)
		return answer{Value: strconv.FormatUint(value, 10)}, err
	case "float":
		value, err := strconv.ParseFloat(request.Text, 64)
		return answer{Value: strconv.FormatFloat(value, 'g', -1, 64)}, err
	case "duration":
		value, err := time.ParseDuration(request.Text)
		return answer{Value: strconv.FormatInt(int64(value), 10)}, err
	}
	panic(request.Kind)
}
